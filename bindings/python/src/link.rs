//! What the library knows an object of Python by: a word that says where the object is, or that it is gone.

use crate::call::attached;
use crate::reactor::Reactor;
use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;

/// Where an object is; null: it is not to be called any more. The library and the object have it together.
struct Link(Cell<*mut ffi::PyObject>);

/// Objects that the library may still call, by place: the collector sees them here, in their reactor.
#[derive(Default)]
pub struct Kept(RefCell<Vec<Option<Py<PyAny>>>>, RefCell<Vec<usize>>);

impl Kept {
    fn add(&self, object: Py<PyAny>) -> usize {
        let mut objects = self.0.borrow_mut();
        match self.1.borrow_mut().pop() {
            Some(place) => {
                objects[place] = Some(object);
                place
            }
            None => {
                objects.push(Some(object));
                objects.len() - 1
            }
        }
    }

    fn remove(&self, place: usize) -> Option<Py<PyAny>> {
        let object = self.0.borrow_mut().get_mut(place)?.take()?;
        self.1.borrow_mut().push(place);
        Some(object)
    }

    /// All of them, in no particular order.
    pub fn all<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        self.0.borrow().iter().flatten().map(|object| object.bind(py).clone()).collect()
    }

    /// Shows the collector what is kept.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.borrow().iter().flatten().try_for_each(|object| visit.call(object))
    }

    /// Lets go of all of them: their reactor is garbage.
    pub fn clear(&self) {
        let objects = self.0.take();
        self.1.take();
        drop(objects);
    }
}

/// An object's part of it.
pub struct Hold {
    pub core: Py<Reactor>,
    link: RefCell<Option<Rc<Link>>>,
    place: Cell<usize>,
    /// False while the interpreter has its memory, but nothing is written to it.
    is_there: bool,
}

impl Hold {
    pub fn new(core: Bound<'_, Reactor>) -> Self {
        Self { core: core.unbind(), link: RefCell::new(None), place: Cell::new(usize::MAX), is_there: true }
    }

    /// The word for the library, which has it freed by `free`; from here on the reactor keeps the object alive, until it
    /// is let go.
    pub fn word<T>(&self, object: &Bound<'_, T>) -> *mut c_void {
        let mut link = self.link.borrow_mut();
        let link = link.get_or_insert_with(|| {
            self.place.set(self.core.get().kept().add(object.as_any().clone().unbind()));
            Rc::new(Link(Cell::new(object.as_ptr())))
        });
        Rc::into_raw(Rc::clone(link)).cast_mut().cast()
    }

    /// The object is called no more.
    pub fn let_go(&self) {
        if let Some(link) = self.link.take() {
            link.0.set(std::ptr::null_mut());
        }
        drop(self.core.get().kept().remove(self.place.replace(usize::MAX)));
    }

    /// Whether the library may still call the object.
    pub fn is_held(&self) -> bool {
        self.link.borrow().is_some()
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if self.is_there { visit.call(&self.core) } else { Ok(()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            link.0.set(std::ptr::null_mut());
        }
    }
}

/// The object of a word; None: it is gone.
pub fn object<'py, T: pyo3::PyClass>(word: *mut c_void) -> Option<Bound<'py, T>> {
    if word.is_null() {
        return None;
    }
    // SAFETY: the library has the word until it frees it, and makes no call after that.
    let object = unsafe { &*word.cast::<Link>() }.0.get();
    if object.is_null() {
        return None;
    }
    // SAFETY: an object that goes takes itself out of its link; it is of the class that gave the word away.
    Some(unsafe { Bound::from_borrowed_ptr(attached(), object).cast_into_unchecked() })
}

/// Frees the library's part of a link.
pub extern "C" fn free(word: *mut c_void) {
    if !word.is_null() {
        // SAFETY: it came from Rc::into_raw, and is freed once.
        drop(unsafe { Rc::from_raw(word.cast::<Link>()) });
    }
}
